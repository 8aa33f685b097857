"""What is measured, and what proves that nothing is lost: see README.md."""
