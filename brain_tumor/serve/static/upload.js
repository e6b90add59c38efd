"use strict";
// Drag and drop, how far the upload is, and how far the prediction is. Without this script the form works all the same.

const form = document.getElementById("upload");
if (form) {
  const input = document.getElementById("exam");
  const status = document.getElementById("status");
  const stop = (event) => event.preventDefault();
  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, (event) => { stop(event); form.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) {
    form.addEventListener(name, (event) => { stop(event); form.classList.remove("over"); });
  }
  form.addEventListener("drop", (event) => {
    if (event.dataTransfer.files.length === 1) {
      input.files = event.dataTransfer.files;
      form.requestSubmit();
    } else {
      status.textContent = "One file at a time: zip the slices of an exam.";
    }
  });
  form.addEventListener("submit", (event) => {
    const file = input.files[0];
    if (!file) return;
    stop(event);
    const request = new XMLHttpRequest();
    request.upload.addEventListener("progress", (step) => {
      if (step.lengthComputable) status.textContent = `Sending: ${Math.round((100 * step.loaded) / step.total)} %`;
    });
    request.addEventListener("load", () => {
      if (request.status < 400) {
        location.assign(request.responseURL);
        return;
      }
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      const words = page.querySelector(".verdict");
      const refused = request.status === 413 ? "The file is too large for this server." : `The server refused it (${request.status}).`;
      status.textContent = words ? words.textContent : refused;
    });
    request.addEventListener("error", () => { status.textContent = "The server cannot be reached."; });
    status.textContent = "Sending";
    request.open("POST", form.action);
    request.send(new FormData(form));
  });
}

const waiting = document.getElementById("waiting");
if (waiting) {
  const bar = document.getElementById("share");
  const ask = async () => {
    try {
      const answer = await fetch(waiting.dataset.state);
      const state = await answer.json();
      if (!answer.ok || state.ended) {
        location.reload();
        return;
      }
      bar.value = state.share;
      waiting.textContent = state.started ? "The network is at work." : "Other exams are before this one.";
    } catch {
      waiting.textContent = "The server cannot be reached; trying again.";
    }
    setTimeout(ask, 250);
  };
  setTimeout(ask, 100);
}
