"""Broken images by the thousand, each made from its number alone, so that any can be made again."""
