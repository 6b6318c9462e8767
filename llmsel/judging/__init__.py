"""Have answers judged, and keep every outcome."""
