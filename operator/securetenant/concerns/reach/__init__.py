"""Reachability: computes which flows the policies allow, and names those that nobody declared."""
