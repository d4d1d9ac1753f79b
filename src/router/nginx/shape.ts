/**
 * The part of a table that nginx has in its configuration: ports and apps' own locations. Only a change of it takes a
 * reload. Kept on disk, since nginx is started again with it before there is a table.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import type { Backend, RouteTable } from '../../shared/contracts/routes.ts';

const location = z.object({
  name: z.string(),
  app: z.string(),
  snippet: z.string(),
  h2c: z.boolean(),
  /** Bytes that a body may have. */
  most: z.optional(z.int()),
});

export const shape = z.object({
  /** There are certificates to listen with. */
  tls: z.boolean(),
  /** Ports to listen on for TCP routes. */
  tcp: z.array(z.int()),
  locations: z.array(location),
  /** Limits of request bodies, beside the usual ones. */
  bodies: z.array(z.int()),
});
export type Shape = z.infer<typeof shape>;
export type Location = z.infer<typeof location>;

export const emptyShape: Shape = { tls: false, tcp: [], locations: [], bodies: [] };

/**
 * Limits of bodies that nginx always knows: round numbers of MiB and GiB. Only another one takes a reload, once: nginx
 * counts a body of unknown length by its configuration alone.
 */
export const usualBodies: ReadonlySet<number> = new Set(
  [1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 50, 64, 100, 128, 200, 250, 256, 500, 512].flatMap((count) =>
    [1024 ** 2, 1024 ** 3].map((unit) => count * unit),
  ),
);

/** Where requests go whose body has to be counted as it passes. */
export const bodyLocation = (most: number, h2c: boolean): string => `@body_${h2c ? 'h2c_' : ''}${most}`;

export function shapeOf(table: RouteTable): Shape {
  const locations = new Map<string, Location>();
  for (const backend of Object.values(table.backends)) {
    const name = locationOf(backend);
    if (name === undefined || backend.nginx === undefined) continue;
    const most = backend.limits?.maxBodyBytes;
    const common = { name, app: backend.app, snippet: backend.nginx, h2c: backend.protocol === 'h2c' };
    locations.set(name, { ...common, ...(most !== undefined && { most }) });
  }
  const bodies = new Set(Object.values(table.backends).flatMap(({ limits }) => limits?.maxBodyBytes ?? []));
  return {
    tls: (table.certificates ?? []).length > 0,
    tcp: table.tcp.map(({ port }) => port).sort((one, other) => one - other),
    locations: [...locations.values()].sort(byName),
    bodies: [...bodies].filter((most) => !usualBodies.has(most)).sort((one, other) => one - other),
  };
}

/** A shape with the locations and limits of another one beside its own. */
export function beside(shape: Shape, other: Pick<Shape, 'locations' | 'bodies'>): Shape {
  const locations = new Map([...other.locations, ...shape.locations].map((one) => [one.name, one]));
  return {
    ...shape,
    locations: [...locations.values()].sort(byName),
    bodies: [...new Set([...shape.bodies, ...other.bodies])].sort((one, two) => one - two),
  };
}

/** The locations and limits of a shape that another one has, too. */
export function common(shape: Shape, other: Shape): Pick<Shape, 'locations' | 'bodies'> {
  const names = new Set(other.locations.map(({ name }) => name));
  return {
    locations: shape.locations.filter(({ name }) => names.has(name)),
    bodies: shape.bodies.filter((most) => other.bodies.includes(most)),
  };
}

/** A shape in force does for another one: locations and limits too many do no harm, and every reload costs something. */
export function covers(present: Shape, { tls, tcp, locations, bodies }: Shape): boolean {
  const names = new Set(present.locations.map(({ name }) => name));
  return (
    present.tls === tls &&
    JSON.stringify(present.tcp) === JSON.stringify(tcp) &&
    locations.every(({ name }) => names.has(name)) &&
    bodies.every((most) => present.bodies.includes(most))
  );
}

const byName = (one: Location, other: Location): number => (one.name < other.name ? -1 : 1);

/** Named by its content: an app whose snippet changes gets another location, and both are there for a while. */
export function locationOf({ nginx, protocol = 'http', limits }: Backend): string | undefined {
  if (nginx === undefined) return undefined;
  return `@own_${createHash('sha256')
    .update(`${protocol} ${limits?.maxBodyBytes ?? ''}\n${nginx}`)
    .digest('hex')
    .slice(0, 16)}`;
}
