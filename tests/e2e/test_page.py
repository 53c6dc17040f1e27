"""The page in a real browser: what a person sees when a reading arrives, and the MQTT test client."""
import shutil
import subprocess
import tempfile

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from weir import wait_for


@pytest.fixture(scope="module")
def browser():
    profile = tempfile.mkdtemp(prefix="chromium-")
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--disable-dev-shm-usage", "--window-size=1280,900", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    yield driver
    driver.quit()
    shutil.rmtree(profile, ignore_errors=True)


def text(browser, name):
    return browser.find_element(By.ID, name).text


def type_into(browser, name, value):
    element = browser.find_element(By.ID, name)
    element.clear()
    element.send_keys(value)


def test_a_published_reading_shows_up(weir, browser):
    wait_for(lambda: weir.redis().ping(), what="redis")
    browser.get(weir.url("/"))
    wait_for(lambda: text(browser, "message-count") == "0", what="the empty state")
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", "topic/sensors", "-m", '{"temperature": 21.5}', "-q", "1"], check=True)
    wait_for(lambda: text(browser, "message-count") == "1", what="the count")
    assert "21.5" in text(browser, "last-message")
    assert "ago" in text(browser, "last-update") or "now" in text(browser, "last-update")


def test_the_test_client_publishes_and_sees_what_arrives(weir, browser):
    wait_for(lambda: weir.redis().ping(), what="redis")
    browser.get(weir.url("/"))
    wait_for(lambda: text(browser, "message-count") == "0", what="the empty state")
    type_into(browser, "subscribe-filter", "topic/#")
    browser.find_element(By.ID, "subscribe-button").click()
    wait_for(lambda: "topic/#" in text(browser, "subscriptions"), what="the subscription")
    type_into(browser, "publish-topic", "topic/sensors")
    type_into(browser, "publish-payload", '{"temperature": 42, "note": "<b>\\"quoted\\"</b>"}')
    browser.find_element(By.CSS_SELECTOR, "#publish-qos option[value='1']").click()
    browser.find_element(By.ID, "publish-button").click()
    wait_for(lambda: "PUBACK" in text(browser, "publish-result"), what="the PUBACK")
    wait_for(lambda: "42" in text(browser, "messages"), what="the message in the test client")
    wait_for(lambda: text(browser, "message-count") == "1", what="the count")
    assert '<b>\\"quoted\\"</b>' in text(browser, "last-message")
    assert browser.find_element(By.ID, "last-update").text


def test_the_page_reconnects_by_itself(weir, browser):
    wait_for(lambda: weir.redis().ping(), what="redis")
    browser.get(weir.url("/"))
    wait_for(lambda: "live" in text(browser, "feed-state").lower(), what="live")
    port = weir.port("web")
    assert weir.stop() == 0
    wait_for(lambda: "live" not in text(browser, "feed-state").lower(), what="the loss to be shown")
    import json
    with open(weir.config_path, encoding="utf-8") as file:
        config = json.load(file)
    config["web"]["bind"] = f"127.0.0.1:{port}"
    weir.write_config(config)
    weir.start()
    wait_for(lambda: text(browser, "feed-state").lower().startswith("live"), timeout_s=40, what="live again")
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", "topic/sensors", "-m", "again", "-q", "1"], check=True)
    wait_for(lambda: "again" in text(browser, "last-message"), what="the reading after the reconnection")


def test_nothing_is_loaded_from_elsewhere_and_nothing_breaks_on_a_phone(weir, browser):
    browser.set_window_size(390, 844)
    browser.get("about:blank")
    browser.get_log("browser")  # what other tests left
    try:
        browser.get(weir.url("/"))
        wait_for(lambda: text(browser, "feed-state"), what="the page")
        urls = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
        assert all(url.startswith(weir.url("/")) or url.startswith("data:") for url in urls), urls
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert not errors, errors
    finally:
        browser.set_window_size(1280, 900)
