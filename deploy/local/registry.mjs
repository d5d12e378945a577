// One Apicurio Registry, asked through its Confluent-compatible API. Its data is an H2 file, so that a restart keeps the schemas and their ids.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fetched } from './fetch.mjs';
import { downloadFile, unpack } from './maven.mjs';
import { httpAnswers } from './probe.mjs';
import { javaFor } from './programs.mjs';
import { HOST } from './settings.mjs';

export const REGISTRY_VERSION = '3.0.9';
const LEAST_JAVA = 17;
const HEAP_MIB = 256;
const CONNECTIONS = 4;
const ARCHIVE = {
  path: `io/apicurio/apicurio-registry-app/${REGISTRY_VERSION}/apicurio-registry-app-${REGISTRY_VERSION}-all.tar.gz`,
  sha256: '2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43',
};

const propertiesOf = ({ data, log, port }) => ({
  'quarkus.http.host': HOST,
  'quarkus.http.port': port,
  'apicurio.storage.sql.kind': 'h2',
  // A schema that was acknowledged is in the file: no delay of writes.
  'apicurio.datasource.url': `jdbc:h2:file:${join(data, 'registry')};WRITE_DELAY=0`,
  'apicurio.datasource.jdbc.initial-size': CONNECTIONS,
  'apicurio.datasource.jdbc.min-size': CONNECTIONS,
  'quarkus.http.access-log.enabled': false,
  'quarkus.log.console.enable': false,
  'quarkus.log.file.enable': true,
  'quarkus.log.file.path': log,
  'quarkus.log.file.json': false,
  'quarkus.log.file.format': '%d{yyyy-MM-dd HH:mm:ss,SSS} %p [%c{1}] %s%e%n',
  'quarkus.log.file.rotation.max-file-size': '5M',
  'quarkus.log.file.rotation.max-backup-index': 2,
});

/**
 * A registry in `dir`, for supervise.mjs.
 * @param {{ dir: string, cache: string, port: number, env?: object }} options
 */
export const registryServer = ({ dir, cache, port, env = process.env }) => {
  const [data, temporary, log] = [join(dir, 'data'), join(dir, 'tmp'), join(dir, 'registry.log')];
  const url = `http://${HOST}:${port}/apis/ccompat/v7`;
  let java;
  let jar;
  return {
    name: 'registry',
    address: url,
    ports: [port],
    portVariable: 'DATS_SERVERS_REGISTRY_PORT',
    dir,
    logs: [log, join(dir, 'out.log')],
    startLimitMs: 90_000,
    stopLimitMs: 10_000,
    prepare: async () => {
      java = await javaFor(LEAST_JAVA, 'to run Apicurio Registry', env);
      const fill = async (folder) => {
        const archive = await downloadFile(folder, ARCHIVE, env);
        await unpack(archive, folder, { env });
        rmSync(archive);
      };
      const home = await fetched({ cache, name: `apicurio-registry-${REGISTRY_VERSION}`, fill });
      jar = join(home, `apicurio-registry-app-${REGISTRY_VERSION}-runner.jar`);
      rmSync(temporary, { recursive: true, force: true });
      for (const folder of [data, temporary]) mkdirSync(folder, { recursive: true });
    },
    command: () => ({
      file: java,
      args: [
        `-Xmx${HEAP_MIB}m`,
        '-XX:+UseSerialGC',
        '-XX:+ExitOnOutOfMemoryError',
        `-Djava.io.tmpdir=${temporary}`,
        ...Object.entries(propertiesOf({ data, log, port })).map(([name, value]) => `-D${name}=${value}`),
        '-jar',
        jar,
      ],
      env,
    }),
    answers: () => httpAnswers(`${url}/subjects`),
  };
};
