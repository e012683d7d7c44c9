"""A self-hosted SCIM 2.0 service provider in front of AWS IAM Identity Center."""

__version__ = "0.1.0"
