"""What is sent: texts, pictures, sounds and clips made from a seed, or read from files."""
