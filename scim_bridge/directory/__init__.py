"""The record: who should exist and hold what, and everything that ever happened to it."""
