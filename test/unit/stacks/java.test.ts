import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { launchLine } from '../../../src/stacks/support/launch.ts';
import { planOf, webOf } from './support.ts';

const mainClass = 'public class Main {\n  public static void main(String[] args) {}\n}\n';
const toolsOf = async (files: Record<string, string>, options = {}) =>
  (await planOf(files, options)).needs.map(({ tool }) => tool);

describe('java', () => {
  it('runs a jar as it is', async () => {
    const plan = await planOf({ 'shop-1.0.jar': '', 'shop-1.0-sources.jar': '' });
    expect(plan.commands).toEqual([]);
    expect(webOf(plan)).toBe('java $JAVA_OPTS -jar shop-1.0.jar');
  });

  it('quotes the name of a jar', async () => {
    expect(webOf(await planOf({ "it's $(x).jar": '' }))).toBe(`java $JAVA_OPTS -jar 'it'\\''s $(x).jar'`);
  });

  it('runs an unpacked jar by its main class', async () => {
    const manifest = 'Manifest-Version: 1.0\r\nMain-Class: org.springframework.boot.loader.launch\r\n .JarLauncher\r\n';
    const plan = await planOf({ 'META-INF/MANIFEST.MF': manifest });
    expect(webOf(plan)).toBe('java $JAVA_OPTS -cp . org.springframework.boot.loader.launch.JarLauncher');
  });

  it('compiles plain files and finds the main class', async () => {
    const plan = await planOf({
      'A.java': '// public static void main(String[] a)\nclass A {}',
      'Hi.java': `package com.example;\n${mainClass.replace('Main', 'Hi')}`,
    });
    expect(plan.commands[0]?.run).toContain('A.java Hi.java');
    expect(webOf(plan)).toContain('com.example.Hi');
    expect(plan.needs.map(({ tool }) => tool)).toEqual(['java', 'javac']);
  });

  it('builds with Maven or its wrapper, and Gradle by its wrapper', async () => {
    expect(await toolsOf({ 'pom.xml': '' })).toEqual(['java', 'mvn']);
    expect(await toolsOf({ 'pom.xml': '', mvnw: '' })).toEqual(['java', 'javac']);
    expect(await toolsOf({ gradlew: '' })).toEqual(['java', 'javac']);
    const plan = await planOf({ 'pom.xml': '' });
    expect(plan.commands[0]?.run).toContain('mvn');
    expect(plan.sharedCaches).toEqual({ maven: 'PAAS_MAVEN_REPOSITORY' });
  });

  it('lets `build:` replace Maven and still finds the jar', async () => {
    const plan = await planOf({ 'pom.xml': '' }, { build: 'make jar' });
    expect(plan.commands.map(({ name }) => name)).toEqual(['make jar', 'find the jar in target/']);
    expect(plan.needs.map(({ tool }) => tool)).toEqual(['java']);
  });

  it('does not look for a jar that nothing would run', async () => {
    const worker = { processes: { worker: { kind: 'worker' as const, command: 'java -cp target/classes a.B' } } };
    expect((await planOf({ 'pom.xml': '' }, worker)).commands).toHaveLength(1);
  });

  it('has no command for sources without a main method', async () => {
    const plan = await planOf({ 'A.java': 'class A {}' });
    expect(webOf(plan)).toBeUndefined();
    expect(plan.noCommand).toContain('Procfile');
  });

  it('warns of an older Java than the app asks for', async () => {
    const ask = async (version: string) =>
      (await planOf({ 'a.jar': '', 'system.properties': `java.runtime.version=${version}\n` })).warnings;
    expect(await ask('17')).toEqual([]);
    expect(await ask('1.8')).toEqual([]);
    expect(await ask('21')).toEqual(['system.properties asks for Java 21; the hosts have 17.']);
  });
});

describe('the heap', () => {
  it.each([
    ['512M', 312],
    ['512m', 312],
    ['256M', 128],
    ['1G', 716],
    ['2048M', 1433],
    [undefined, 312],
  ])('of a memory limit of %s is %d MB', async (limit, heap) => {
    const { profile } = await planOf({ 'a.jar': '' });
    const env = { PATH: process.env['PATH'] ?? '', ...(limit === undefined ? {} : { MEMORY_LIMIT: limit }) };
    const line = launchLine(profile, 'echo "$JAVA_TOOL_OPTIONS"');
    expect(execFileSync('sh', ['-c', line], { env, encoding: 'utf8' })).toContain(`-Xmx${heap}m `);
  });

  it("leaves the last word to the app's own options", async () => {
    const { profile } = await planOf({ 'a.jar': '' });
    const env = { PATH: process.env['PATH'] ?? '', JAVA_TOOL_OPTIONS: '-Xmx99m', PORT: '8123' };
    const line = launchLine(profile, 'echo "$JAVA_TOOL_OPTIONS $SERVER_PORT"');
    expect(execFileSync('sh', ['-c', line], { env, encoding: 'utf8' })).toMatch(/-Xmx312m .* -Xmx99m 8123\n$/);
  });
});
