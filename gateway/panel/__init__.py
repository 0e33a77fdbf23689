"""The panel: pages in a browser for people, beside the API for programs.

docs/panel.md says how it is made and how to add a page.
"""
