"""Displays: what is drawn, one in a file."""
