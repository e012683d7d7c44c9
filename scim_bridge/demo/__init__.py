"""A story of four days in a company, played on a real bridge: what is all this about?

The demo knows nothing of the bridge's insides: it uses the command line and HTTP, as anybody does.
"""
