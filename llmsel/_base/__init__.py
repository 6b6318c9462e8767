"""What every other module may use: nothing here knows what a pool is."""
