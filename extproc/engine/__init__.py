"""The engine: runs a plan for one request, knowing only its seams."""
