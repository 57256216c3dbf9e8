"""Tests of pages in a real browser. `conftest` starts it; a test that is given `page` has a page of its own."""
