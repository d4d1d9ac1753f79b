/** What is going on right now, on standard error: one moving line on a terminal, plain lines elsewhere. */
import { oneLine, widthOf } from './table.ts';
import { spell } from './times.ts';
import type { Ui } from './ui.ts';

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const tickMs = 80;
/** Elsewhere than on a terminal, work that goes on is mentioned again now and then, so that a build log shows life. */
const reminderMs = 15_000;

export class Progress {
  readonly #ui: Ui;
  readonly #start = performance.now();
  #text = '';
  #timer: NodeJS.Timeout | null = null;
  #frame = 0;
  #saidAt = 0;
  #said = '';

  constructor(ui: Ui) {
    this.#ui = ui;
  }

  /** What is being done now. `detail` changes often (bytes, counts): it is shown only where lines can be rewritten. */
  at(text: string, detail = ''): void {
    const { moving } = this.#ui;
    const now = performance.now();
    this.#text = detail === '' ? text : `${text} ${detail}`;
    if (moving) {
      this.#timer ??= setInterval(() => this.#draw(), tickMs);
      this.#timer.unref();
      if (detail === '') this.#draw();
    } else if (text !== this.#said || now - this.#saidAt > reminderMs) {
      this.#ui.note(text === this.#said ? `${this.#text} (${this.elapsed})` : text);
      this.#said = text;
      this.#saidAt = now;
    }
  }

  /** A line that stays, above the moving one. */
  say(text: string): void {
    this.#erase();
    this.#ui.note(text);
    if (this.#timer) this.#draw();
  }

  /** Nothing is going on any more. */
  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    this.#erase();
  }

  get elapsed(): string {
    return spell(performance.now() - this.#start);
  }

  #draw(): void {
    const { stderr } = this.#ui.streams;
    const frame = frames[this.#frame++ % frames.length]!;
    const room = Math.max(20, stderr.columns || 80) - 1;
    let text = oneLine(this.#text);
    const elapsed = ` ${this.elapsed}`;
    while (text !== '' && widthOf(text) + elapsed.length + 2 > room) text = text.slice(0, -1);
    stderr.write(`\r\u001b[2K${this.#ui.errStyle.cyan(frame)} ${text}${this.#ui.errStyle.dim(elapsed)}`);
  }

  #erase(): void {
    if (this.#ui.moving && this.#frame > 0) this.#ui.streams.stderr.write('\r\u001b[2K');
  }
}
