"""Gemini behind the contract: what a request to its API holds, and what its replies mean."""
