// Strokes over a canvas, by mouse, pen, finger or keyboard.

import { element } from "./elements.js";

const keySteps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] };

/**
 * Reports strokes over a canvas; points are `{ x, y, pressure }` in its pixels.
 *
 * @param {HTMLCanvasElement} canvas whose parent has its box
 * @param {object} actions
 * @param {function()} actions.begin called before the first line of a stroke
 * @param {function(object, object)} actions.line called for each line of a stroke
 * @param {function()} actions.moved called after the lines of one movement
 * @param {function()} actions.undo called for the undo key
 */
export function followStrokes(canvas, actions) {
  followPointer(canvas, actions);
  followKeys(canvas, actions);
}

// Where the canvas's content lies in its box, and the scale of its pixels: it is fitted whole.
function frame(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = Math.min(width / canvas.width, height / canvas.height);
  return { left: (width - canvas.width * scale) / 2, top: (height - canvas.height * scale) / 2, scale };
}

function followPointer(canvas, { begin, line, moved }) {
  let last = null;
  const place = ({ clientX, clientY, pointerType, pressure }) => {
    const box = canvas.getBoundingClientRect();
    const { left, top, scale } = frame(canvas);
    return {
      x: (clientX - box.left - left) / scale, y: (clientY - box.top - top) / scale,
      pressure: pointerType === "pen" && pressure > 0 ? 0.3 + 0.7 * pressure : 1,
    };
  };
  canvas.addEventListener("pointerdown", (event) => {
    // A second finger neither draws nor moves the first one's stroke.
    if (event.button !== 0 || last) return;
    canvas.setPointerCapture(event.pointerId);
    begin();
    last = { ...place(event), id: event.pointerId };
    line(last, last);
    moved();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (last?.id !== event.pointerId) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length ? moves : [event]) {
      const next = place(move);
      line(last, next);
      last = { ...next, id: event.pointerId };
    }
    moved();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      if (last?.id === event.pointerId) last = null;
    });
  }
}

function followKeys(canvas, { begin, line, moved, undo }) {
  const cursor = element("span.cursor", { hidden: true });
  canvas.after(cursor);
  let place = null;
  let isDown = false;
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      return undo();
    }
    const move = keySteps[event.key];
    if (!move) return;
    event.preventDefault();
    const { width, height } = canvas;
    const step = (event.shiftKey ? 40 : 12) * width / 512;
    const before = place ?? { x: width / 2, y: height / 2, pressure: 1 };
    const inside = (value, most) => Math.max(0, Math.min(most, value));
    place = { x: inside(before.x + move[0] * step, width), y: inside(before.y + move[1] * step, height), pressure: 1 };
    if (event.key === " " && !event.repeat) {
      begin();
      isDown = true;
    }
    if (isDown) {
      line(before, place);
      moved();
    }
    const { left, top, scale } = frame(canvas);
    cursor.hidden = false;
    cursor.style.left = `${canvas.offsetLeft + left + place.x * scale}px`;
    cursor.style.top = `${canvas.offsetTop + top + place.y * scale}px`;
  });
  canvas.addEventListener("keyup", (event) => {
    if (event.key === " ") isDown = false;
  });
  canvas.addEventListener("blur", () => {
    isDown = false;
    cursor.hidden = true;
  });
}
