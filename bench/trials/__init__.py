"""What challenges promise, each promise a trial of its own."""
