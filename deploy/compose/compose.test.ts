// What can be said of the compose file without Docker: that it is whole, agrees with the native servers, and is understood by DATS.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfiguration, parseRoles } from '../../nodes/index.js';
import { environment } from '../local/index.mjs';
import { brokerSettings, KAFKA_VERSION } from '../local/kafka.mjs';
import { REGISTRY_VERSION } from '../local/registry.mjs';
import { DEFAULT_PORTS } from '../local/settings.mjs';

interface Service {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly command?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly security_opt?: readonly string[];
  readonly volumes?: readonly string[];
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');
const VARIABLE = /\$\{([A-Z0-9_]+):-([^}]*)\}/g;
const text = read('./compose.yaml');
const compose = parse(text, { merge: true }) as Compose;
/** As Compose reads it where no variable is set. */
const plain = parse(text.replace(VARIABLE, '$2'), { merge: true }) as Compose;

const nodes = Object.entries(plain.services).filter(([, { image }]) => image === 'dats:local');
const rolesOf = ({ command = [] }: Service) => parseRoles(command[command.indexOf('--roles') + 1] ?? '');
const environmentOf = ({ environment: found = {} }: Service): Record<string, string> =>
  Object.fromEntries(Object.entries(found).map(([name, value]) => [name, String(value ?? '')]));

describe('the compose file', () => {
  it('has two of each role, each with a name of its own', () => {
    const roles = nodes.map(([, service]) => rolesOf(service));
    expect(roles.filter(({ gateway }) => gateway)).toHaveLength(2);
    expect(roles.filter(({ deciders }) => deciders)).toHaveLength(2);
    expect(roles.filter(({ workers }) => workers.length > 0)).toHaveLength(2);
    expect(nodes.map(([name, { environment: found }]) => [name, found?.['DATS_NODE_ID']])).toEqual(nodes.map(([name]) => [name, name]));
  });

  it('gives every node settings that DATS understands without a remark', () => {
    expect(nodes).toHaveLength(6);
    for (const [name, service] of nodes) {
      const { config, warnings } = loadConfiguration({
        path: new URL('../../servers.yaml', import.meta.url).pathname,
        env: environmentOf(service),
      });
      expect(warnings, name).toEqual([]);
      expect(config.log, name).toMatchObject({ kind: 'kafka', kafka: { brokers: ['kafka:9092'] } });
      expect(config.views, name).toMatchObject({ kind: 'redis', redis: { url: 'redis://redis:6379' } });
      expect(config.node, name).toEqual({ id: name, data_dir: '/var/lib/dats' });
    }
  });

  it('gives Kafka the settings that it has natively, but for places', () => {
    const places = /listener|^log\.dirs$|^controller\.quorum\.voters$/;
    const native = Object.entries(brokerSettings({ dir: '/x', port: 1, controllerPort: 2 })).filter(([name]) => !places.test(name));
    const there = environmentOf(plain.services['kafka']!);
    expect(native.length).toBeGreaterThan(15);
    for (const [name, value] of native) expect(there[`KAFKA_${name.toUpperCase().replaceAll('.', '_')}`], name).toBe(String(value));
  });

  it('publishes on loopback only, at the ports of the native servers', () => {
    const published = Object.fromEntries(Object.entries(plain.services).map(([name, { ports = [] }]) => [name, ports]));
    for (const port of Object.values(published).flat()) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    expect(published).toMatchObject({
      kafka: [`127.0.0.1:${DEFAULT_PORTS.kafka}:${DEFAULT_PORTS.kafka}`],
      registry: [`127.0.0.1:${DEFAULT_PORTS.registry}:8080`],
      redis: [`127.0.0.1:${DEFAULT_PORTS.redis}:6379`],
    });
    expect(plain.services['kafka']?.environment?.['KAFKA_ADVERTISED_LISTENERS']).toContain(`HOST://127.0.0.1:${DEFAULT_PORTS.kafka}`);
    const all = Object.values(published).flat();
    expect(new Set(all).size).toBe(all.length);
  });

  it('pins every image, to the versions that run natively', () => {
    const images = Object.fromEntries(Object.entries(plain.services).map(([name, { image }]) => [name, image]));
    expect(images).toMatchObject({ kafka: `apache/kafka:${KAFKA_VERSION}`, registry: `apicurio/apicurio-registry:${REGISTRY_VERSION}` });
    expect(images['redis']).toMatch(/^redis:\d+\.\d+\.\d+-/);
    const bases = [...read('./Dockerfile').matchAll(/^FROM (\S+)/gm)].map((match) => match[1]);
    expect(bases).toHaveLength(2);
    for (const base of bases) expect(base).toMatch(/^node:20\.\d+\.\d+-[a-z]+-slim$/);
  });

  it('asks every server and gateway for its health, and starts nodes after what they need', () => {
    for (const name of ['kafka', 'registry', 'redis', 'gateway-1', 'gateway-2'])
      expect(plain.services[name]?.healthcheck?.test.length, name).toBeGreaterThan(1);
    const healthy = { condition: 'service_healthy' };
    for (const [name, { depends_on }] of nodes) expect(depends_on, name).toEqual({ kafka: healthy, registry: healthy, redis: healthy });
  });

  it('starts what observes it only when that is asked for, at versions that are said', () => {
    for (const name of ['prometheus', 'grafana']) {
      expect(plain.services[name]?.profiles, name).toEqual(['observability']);
      expect(plain.services[name]?.image, name).toMatch(/:v?\d+\.\d+\.\d+$/);
      expect(plain.services[name]?.healthcheck?.test.length, name).toBeGreaterThan(1);
    }
    expect(Object.values(plain.services).filter(({ profiles }) => profiles !== undefined)).toHaveLength(2);
  });

  it('lets Prometheus see the processes that have no gateway, and publishes nothing of them', () => {
    for (const [name, service] of nodes.filter(([, one]) => !rolesOf(one).gateway)) {
      expect(service.environment, name).toMatchObject({ DATS_TELEMETRY_METRICS_PORT: 9464, DATS_GATEWAY_HOST: '0.0.0.0' });
      expect(service.ports, name).toBeUndefined();
    }
  });

  it('loosens the profile of workers and of nothing else', () => {
    const loosened = Object.entries(plain.services).filter(([, { security_opt }]) => security_opt !== undefined);
    expect(loosened.map(([name]) => name)).toEqual(['worker-1', 'worker-2']);
  });

  it('declares the volumes that it mounts', () => {
    const mounted = Object.values(compose.services).flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(':')[0]!));
    const named = new Set(mounted.filter((source) => /^[a-z]+$/.test(source)));
    expect([...named].sort()).toEqual(Object.keys(compose.volumes).sort());
  });

  it('has its variables and their defaults in .env.example, each once', () => {
    const used = Object.fromEntries([...text.matchAll(VARIABLE)].map((match) => [match[1], match[2]]));
    const lines = read('./.env.example')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(Object.fromEntries(lines.map((line) => line.split('=', 2)))).toEqual(used);
    expect(lines).toHaveLength(Object.keys(used).length);
    expect(text.replace(VARIABLE, '')).not.toContain('${');
  });
});

describe('the settings that the native servers print', () => {
  it('are understood by DATS without a remark', () => {
    const env = environment({
      kafka: '127.0.0.1:19092',
      registry: 'http://127.0.0.1:18081/apis/ccompat/v7',
      redis: 'redis://127.0.0.1:16379',
    });
    const { config, warnings } = loadConfiguration({ path: new URL('../../servers.yaml', import.meta.url).pathname, env });
    expect(warnings).toEqual([]);
    expect(config.log.kafka.registry_url).toBe('http://127.0.0.1:18081/apis/ccompat/v7');
    expect([config.log.kind, config.views.kind]).toEqual(['kafka', 'redis']);
  });
});
