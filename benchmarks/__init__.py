"""Measurements beside what people would pick instead, as ratios of one run on one machine."""
