"""What is fast and what it is compared with: ``python -m bench`` prints the table."""
