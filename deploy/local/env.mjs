// The settings with which DATS uses these servers, as `NAME=value` lines.

/** @param {{ kafka: string, registry: string, redis: string }} addresses as the servers' `address` */
export const environment = ({ kafka, registry, redis }) => ({
  DATS_LOG_KIND: 'kafka',
  DATS_LOG_KAFKA_BROKERS: kafka,
  DATS_LOG_KAFKA_REGISTRY_URL: registry,
  DATS_VIEWS_KIND: 'redis',
  DATS_VIEWS_REDIS_URL: redis,
});

export const environmentLines = (addresses) =>
  Object.entries(environment(addresses))
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
