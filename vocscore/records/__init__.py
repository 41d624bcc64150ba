"""What stands beside results and says what they were made from; read long after, and elsewhere."""
