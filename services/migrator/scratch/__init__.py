"""What files make, seen on a throw-away database."""
