export const KAFKA_VERSION: string;

/** Of `server.properties`, by Kafka's names. */
export function brokerSettings(options: {
  readonly dir: string;
  readonly port: number;
  readonly controllerPort: number;
}): Readonly<Record<string, string | number | boolean>>;
