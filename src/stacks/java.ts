/** Java: a jar, an unpacked jar, Maven, Gradle by its wrapper, or plain .java files. */
import type { BuildCommand } from '../shared/contracts/steps.ts';
import type { BuildPlan, Need, PlanContext, Stack, StackApp } from './port.ts';
import { findMainClass, jarMainClass, javaSources, type JavaSource } from './support/java-sources.ts';
import { shellQuote } from './support/launch.ts';
import { emptyPlan, ownBuild, webCommand } from './support/plan.ts';
import { fileNames, firstOf, readText } from './support/source.ts';

/**
 * The heap goes by MEMORY_LIMIT (`512M`), which is known only at start: 70 % of it, but 200 MB less than it where that
 * leaves at least half, since threads, classes and compiled code take their part too. -Xmx rather than
 * MaxRAMPercentage: the JVM does not see a limit that the platform holds by watching. Spring Boot listens on SERVER_PORT.
 */
const memoryProfile = `case \${MEMORY_LIMIT:=512M} in
  *[gG]*) paas_mb=$(( \${MEMORY_LIMIT%%[gG.]*} * 1024 )) ;;
  *) paas_mb=\${MEMORY_LIMIT%%[!0-9]*} ;;
esac
paas_heap=$(( paas_mb - 200 ))
[ "$paas_heap" -le $(( paas_mb * 7 / 10 )) ] || paas_heap=$(( paas_mb * 7 / 10 ))
[ "$paas_heap" -ge $(( paas_mb / 2 )) ] || paas_heap=$(( paas_mb / 2 ))
export JAVA_TOOL_OPTIONS="-Xmx\${paas_heap}m -XX:+ExitOnOutOfMemoryError\${JAVA_TOOL_OPTIONS:+ $JAVA_TOOL_OPTIONS}"
[ -z "\${PORT:-}" ] || export SERVER_PORT="\${SERVER_PORT:-$PORT}"`;

/** Where a build leaves the path of the jar to run; the name holds a version that only the build knows. */
const jarNote = '.paas/jar';

interface Recipe {
  needs: Need[];
  commands: BuildCommand[];
  sharedCaches: Record<string, string>;
  command: string | undefined;
}

export const java: Stack = {
  name: 'java',
  version: 1,
  looksFor: 'pom.xml, gradlew, a *.jar or a *.java file',

  async detect({ view }) {
    const names = await fileNames(view);
    const build = firstOf(names, ['pom.xml', 'gradlew']) ?? names.find((name) => name.endsWith('.jar'));
    if (build !== undefined) return { reason: build, confidence: 'sure' };
    if ((await jarMainClass(view)) !== null) return { reason: 'META-INF/MANIFEST.MF', confidence: 'sure' };
    const source = names.find((name) => name.endsWith('.java'));
    return source === undefined ? null : { reason: source, confidence: 'sure' };
  },

  async plan(context) {
    const { needs, commands, sharedCaches, command } = await recipe(context);
    const plan: BuildPlan = {
      ...emptyPlan('Add a Procfile (`web: java $JAVA_OPTS -jar target/app.jar`), or a class with a `main` method.'),
      needs: [{ tool: 'java', reason: 'this is a Java app' }, ...needs],
      commands,
      sharedCaches,
      defaultProcesses: webCommand(command),
      env: { LANG: 'C.UTF-8' },
      profile: memoryProfile,
      warnings: await warnings(context),
    };
    return plan;
  },
};

/** A `build:` of the app's replaces Maven or Gradle; how the result starts stays the same. */
async function recipe({ view, app }: PlanContext): Promise<Recipe> {
  const names = await fileNames(view);
  const own = ownBuild(app);
  const built = (needs: Need[], sharedCaches: Record<string, string>, build: BuildCommand, output: string): Recipe => ({
    needs: own.length > 0 ? needs.filter(({ tool }) => tool !== 'mvn') : needs,
    commands: [...(own.length > 0 ? own : [build]), ...(startsByDefault(app) ? [noteJar(output)] : [])],
    sharedCaches,
    command: `java $JAVA_OPTS -jar "$(cat ${jarNote})"`,
  });
  if (names.includes('pom.xml')) {
    const wrapper = names.includes('mvnw');
    const tool = wrapper ? 'sh ./mvnw' : 'mvn';
    const needs = [{ tool: wrapper ? 'javac' : 'mvn', reason: 'this app has a pom.xml' }];
    const run = `${tool} -B -ntp -DskipTests \${PAAS_MAVEN_REPOSITORY:+-Dmaven.repo.local="$PAAS_MAVEN_REPOSITORY"} package`;
    const build = { name: `${wrapper ? './mvnw' : 'mvn'} -DskipTests package`, run, env: {} };
    return built(needs, { maven: 'PAAS_MAVEN_REPOSITORY' }, build, 'target');
  }
  if (names.includes('gradlew')) {
    const needs = [{ tool: 'javac', reason: 'this app has a gradlew' }];
    const build = { name: './gradlew assemble', run: 'sh ./gradlew --no-daemon --console=plain assemble', env: {} };
    return built(needs, { gradle: 'GRADLE_USER_HOME' }, build, 'build/libs');
  }
  const ready: Recipe = { needs: [], commands: own, sharedCaches: {}, command: undefined };
  const main = await jarMainClass(view);
  if (main !== null) return { ...ready, command: `java $JAVA_OPTS -cp . ${main}` };
  const jar = names.find((name) => name.endsWith('.jar') && !/-(sources|javadoc)\.jar$/.test(name));
  const sources = await javaSources(view);
  if (sources.length > 0 && findMainClass(sources) !== undefined) return compiled(sources, own);
  return jar === undefined ? ready : { ...ready, command: `java $JAVA_OPTS -jar ${shellQuote(jar)}` };
}

/** Plain .java files in the root, compiled against lib/*.jar; a `build:` runs after that. */
function compiled(sources: readonly JavaSource[], own: BuildCommand[]): Recipe {
  const files = sources.map(({ name }) => shellQuote(name)).join(' ');
  const run = `mkdir -p .paas/classes && javac -encoding UTF-8 -cp '.:lib/*' -d .paas/classes ${files}`;
  const name = `javac ${sources.length === 1 ? files : `(${sources.length} files)`}`;
  return {
    needs: [{ tool: 'javac', reason: 'this app is plain .java files' }],
    commands: [{ name, run, env: {} }, ...own],
    sharedCaches: {},
    command: `java $JAVA_OPTS -cp '.paas/classes:.:lib/*' ${findMainClass(sources) ?? ''}`,
  };
}

/** Leaves the path of the jar to run in a file: the one with everything in it where there are several. */
function noteJar(directory: string): BuildCommand {
  const run = `set -e
jars=$(find ${directory} -maxdepth 1 -name '*.jar' ! -name '*-sources.jar' ! -name '*-javadoc.jar' \\
  ! -name '*-tests.jar' ! -name '*-plain.jar' ! -name 'original-*.jar' | sort)
jar=$(printf '%s\\n' "$jars" | grep -E -e '-(jar-with-dependencies|all|shaded|fat|exec|runner)\\.jar$' | head -n 1 || true)
[ -n "$jar" ] || jar=$(printf '%s\\n' "$jars" | head -n 1)
if [ -z "$jar" ]; then
  echo 'The build left no jar in ${directory}/: give the command in a Procfile or in paas.yml.' >&2
  exit 1
fi
mkdir -p .paas
printf '%s\\n' "$jar" > ${jarNote}
echo "runs $jar"`;
  return { name: `find the jar in ${directory}/`, run, env: {} };
}

/** Whether the default command will be used: none of the app's own is there, or `web` lacks one. */
function startsByDefault({ processes }: StackApp): boolean {
  const given = Object.values(processes);
  const web = processes['web'];
  return given.every(({ command }) => command === undefined) || (web !== undefined && web.command === undefined);
}

async function warnings({ view, tools }: PlanContext): Promise<string[]> {
  const properties = (await readText(view, 'system.properties')) ?? '';
  const wanted = /^\s*java\.runtime\.version\s*=\s*(?:1\.)?(\d+)/m.exec(properties)?.[1];
  const present = tools['java'] === undefined ? undefined : /(?:^|\D)(?:1\.)?(\d+)/.exec(tools['java'])?.[1];
  if (wanted === undefined || present === undefined || Number(present) >= Number(wanted)) return [];
  return [`system.properties asks for Java ${wanted}; the hosts have ${present}.`];
}
