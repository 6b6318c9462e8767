"""What every room stands on: errors, files, intervals, checks."""
