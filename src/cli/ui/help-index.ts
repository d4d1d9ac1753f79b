/** `paas --help`: all commands; `paas rollout --help`: those of a topic. */
import { commands, groups, topics } from '../commands.ts';
import { columns } from './help.ts';
import type { Ui } from './ui.ts';

/** @param topic '' for everything */
export async function showIndex(ui: Ui, topic: string): Promise<void> {
  const summary = async (id: string): Promise<[string, string]> => [
    `paas ${id}`,
    (await commands[id]!()).default.summary,
  ];
  const out: string[] = [];
  if (topic !== '') {
    const ids = Object.keys(commands).filter((id) => id.startsWith(`${topic} `));
    out.push(`paas ${topic}: ${topics[topic] ?? ''}.`, '', ...columns(await Promise.all(ids.map(summary))), '');
  } else {
    out.push('paas takes an application from its source to live, routed, repairable instances.', '');
    for (const [title, group] of Object.entries(groups)) {
      out.push(ui.style.bold(title), ...columns(await Promise.all(Object.keys(group).map(summary))), '');
    }
    out.push('`paas COMMAND --help` says more. Start here: `paas up`, `paas init`, `paas push`.', '');
  }
  if (ui.json) ui.data({ commands: Object.keys(commands).filter((id) => topic === '' || id.startsWith(`${topic} `)) });
  else await ui.write(out.join('\n'));
}
