"""Measures the server at twice its capacity, with clients that give up."""
