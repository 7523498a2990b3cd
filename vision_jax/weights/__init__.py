"""Readers of published checkpoints, and the tables that say where each tensor goes."""
