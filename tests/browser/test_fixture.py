"""A page of the fixtures runs scripts."""

from playwright.sync_api import Page


def test_a_page_runs_its_scripts(page: Page) -> None:
    page.set_content("<p></p><script>document.querySelector('p').textContent = 1 + 1</script>")
    assert page.inner_text("p") == "2"
