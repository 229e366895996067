"""Measure what scores are worth: figures within sites, confounders, summary, page, model card."""
