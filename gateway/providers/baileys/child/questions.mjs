// Questions to WhatsApp's server, each of which ends.
//
// By itself the library waits without an end: for an answer that never comes, and for one on a
// connection that it has closed. With a time limit of its own it would go on without the answer, and
// send a message to no device. So a question that waited too long, or whose connection ended, is
// answered here, with an error like one of the server: what asked fails, and says why.

const QUESTION = 'TAG:'; // the library listens for an answer under this and the question's id

export const NO_ANSWER = 408;
export const CONNECTION_ENDED = 428;

// Changes the library's client of the web socket; `config.answerSeconds` of a socket is its limit.
export function endQuestions({ prototype }) {
  const { on, off, connect, close } = prototype;
  prototype.on = function (event, listener) {
    if (isQuestion(event)) {
      const late = () => answer(this, event, NO_ANSWER, 'WhatsApp did not answer in time');
      this.questions ??= new Map();
      this.questions.set(event, setTimeout(late, this.config.answerSeconds * 1000));
    }
    return on.call(this, event, listener);
  };
  prototype.off = function (event, listener) {
    if (isQuestion(event)) {
      clearTimeout(this.questions?.get(event));
      this.questions?.delete(event);
    }
    return off.call(this, event, listener);
  };
  prototype.connect = function () {
    // Before any listener of the library, which would fail with the number of the web socket's end.
    if (!this.socket) on.call(this, 'close', () => answerAll(this));
    return connect.call(this);
  };
  prototype.close = function () {
    const closed = close.call(this); // the library has removed every listener of its end
    answerAll(this);
    return closed;
  };
}

const isQuestion = (event) => typeof event === 'string' && event.startsWith(QUESTION);

function answerAll(socket) {
  for (const event of [...(socket.questions?.keys() ?? [])]) {
    answer(socket, event, CONNECTION_ENDED, 'the connection ended before the answer');
  }
}

function answer(socket, event, code, text) {
  const error = { tag: 'error', attrs: { code: String(code), text } };
  socket.emit(event, { tag: 'iq', attrs: { id: event.slice(QUESTION.length), type: 'error' }, content: [error] });
}
