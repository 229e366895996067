"""What scores are worth: figures, audits, words, page and card. Knows nothing of how a network is trained."""
