"""Hands work to workers and carries their progress back; who is on the other side, neither end knows."""
