"""AWS IAM Identity Center as a target: takes changes, says what it holds and how each ended."""
