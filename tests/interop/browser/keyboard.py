"""What is reached with the Tab key, and in what order."""

# Where the focus is: what it is, how it is named, whether one sees it there, and whether it comes after the last one.
FOCUSED = """
() => {
    const now = document.activeElement;
    if (now === document.body || now === null) return null;
    const last = window.lastFocused;
    window.lastFocused = now;
    const style = getComputedStyle(now);
    const text = now.labels?.length ? now.labels[0].innerText : now.getAttribute("aria-label") ?? now.innerText;
    return {
        what: now.tagName.toLowerCase(),
        name: (text ?? "").trim(),
        isShown: (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none",
        isAfter: !last || Boolean(last.compareDocumentPosition(now) & Node.DOCUMENT_POSITION_FOLLOWING),
    };
}
"""
LIMIT = 200


def tabbed(page):
    """All that Tab reaches, from the page's beginning to its end."""
    page.evaluate("() => { document.activeElement?.blur(); window.lastFocused = undefined; window.scrollTo(0, 0); }")
    reached = []
    for _ in range(LIMIT):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None or (reached and not focused["isAfter"]):
            return reached
        reached.append(focused)
    raise AssertionError(f"Tab comes to no end: {reached[-3:]}")


def tab_to(page, what, name):
    """Presses Tab until the element of that kind and name has the focus."""
    for _ in range(LIMIT):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is not None and (focused["what"], focused["name"]) == (what, name):
            return
    raise AssertionError(f"Tab does not reach {name!r}")
