"""Runs any SCIM 2.0 server through suites of checks and client dialogues, and writes a report."""
