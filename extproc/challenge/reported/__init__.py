"""The parts of a report, made from evidence."""
