"Takes the pictures of the live page, for readers who cannot run it. Run it at the top level."
from in_browser import notebooks,open_browser,serve_live_page

def of_live_page(browser):
    with serve_live_page() as address:
        page = browser.new_page(viewport={'width': 840, 'height': 900})
        page.goto(address)
        page.get_by_role('radio', name='8').wait_for()
        for _ in range(5): page.get_by_role('button', name='Paint a test image').click()
        page.get_by_role('status').filter(has_text='Read as').wait_for()
        page.get_by_role('radio', name='8').check()
        page.wait_for_timeout(200) # two frames and more
        page.locator('cvae-explorer').screenshot(path=notebooks/'live'/'explore.png')

if __name__ == '__main__':
    with open_browser() as browser: of_live_page(browser)
