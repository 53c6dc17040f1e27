// Returns a function that asks for draw() in the next animation frame, at most once per frame however often it is
// called. A hidden page has no frames, so nothing is drawn there; the newest state appears when it is shown again.

export function oncePerFrame(draw) {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      draw();
    });
  };
}
