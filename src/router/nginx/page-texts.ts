/** The router's pages as templates for nginx: the texts are those of ../pages.ts, with places for what a request adds. */
import { flags, problems, renderProblem, type Problem } from '../pages.ts';
import { luaLiteral, type Literal } from './literal.ts';

const place = (name: string): string => `\u0001${name}\u0002`;

/** An app whose name and flags can be found again in a page, whatever form they take there. */
const sampleApp = 'sampleproject/sampleenvironment/sampleapp';

const instance = place('instance');
const detail = place('detail');
/** Stands for a number of seconds in texts that want one. */
const sampleSeconds = 987_654_321;
const sampleBytes = 987_654_322;

function template(problem: Problem): Literal {
  const texts = Object.fromEntries(
    ([['html', 'text/html'], ['json', 'application/json'], ['text', 'text/plain']] as const).map(([name, type]) => [
      name,
      renderProblem(problem, type, place('id'))
        .replaceAll('\\u0001', '\u0001')
        .replaceAll('\\u0002', '\u0002')
        .replaceAll(flags(sampleApp), place('flags'))
        .replaceAll(sampleApp, place('app'))
        .replaceAll(String(sampleSeconds), place('seconds'))
        .replaceAll(String(sampleBytes), place('limit')),
    ]),
  ); // prettier-ignore
  const { status, reason, retryAfterSeconds } = problem;
  return {
    status,
    reason,
    ...texts,
    ...(retryAfterSeconds !== undefined && { retryAfter: String(retryAfterSeconds) }),
  };
}

/** What nginx itself may find wrong with a request, by status. */
const faults: Readonly<Record<number, string>> = {
  400: 'it is not valid HTTP',
  405: 'its method is not allowed here',
  408: 'it was not sent completely in time',
  413: 'its body is too large',
  414: 'its target is too long',
  417: 'its expectation is not known',
  431: 'its header is too large',
  500: 'the router failed',
  501: 'its Transfer-Encoding is not known',
  505: 'its version of HTTP is not known',
};

/** The module `paas.pages`: templates by the name that `rare.lua` and `page.lua` know. */
export function pagesLua(): string {
  const pages: Record<string, Literal> = {};
  for (const [status, fault] of Object.entries(faults)) {
    const page = template(problems.badRequest(Number(status), detail)) as Record<string, Literal>;
    pages[`bad${status}`] = { ...page, detail: fault };
  }
  pages.bad408 = template(problems.requestTimeout());
  pages.noTable = template(problems.noTable());
  pages.noRoute = template(problems.noRoute(place('host'), place('path')));
  pages.stopped = template(problems.stopped(sampleApp));
  pages.starting = template(problems.starting(sampleApp));
  pages.noInstance = template(problems.noInstance(sampleApp));
  pages.refused = template(problems.refused(sampleApp, instance, detail));
  pages.broke = template(problems.broke(sampleApp, instance, detail));
  pages.invalid = template(problems.invalid(sampleApp, instance, detail));
  pages.tooSlow = template(problems.tooSlow(sampleApp, instance, sampleSeconds));
  pages.unreachable = template(problems.unreachable(sampleApp, instance));
  pages.maintenance = template(problems.maintenance(sampleApp));
  pages.queueFull = template(problems.busy(sampleApp, 'full'));
  pages.queueTimeout = template(problems.busy(sampleApp, 'waited'));
  pages.tooMany = template(problems.tooMany(sampleApp, 1000));
  pages.bodyTooLarge = template(problems.bodyTooLarge(sampleApp, sampleBytes));
  return `return ${luaLiteral(pages)}\n`;
}
