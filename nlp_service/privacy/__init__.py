"""Residents' words kept private: personal data found and replaced, with the way back to the original."""
