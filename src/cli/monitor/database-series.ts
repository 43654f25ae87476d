import type { FleetStatus } from '../watch/fleet-status.ts'

interface Series {
  readonly name: string
  readonly help: string
  /** Undefined: this database has none. */
  readonly value: (database: FleetStatus) => number | undefined
}

const SERIES: readonly Series[] = [
  {
    name: 'walsync_replication_lag_seconds',
    help: 'Age of the oldest commit that is not in the store; 0 for none.',
    value: ({ engine }) => seconds(engine?.lagMs),
  },
  {
    name: 'walsync_last_sync_timestamp_seconds',
    help: 'When the last change was stored.',
    value: ({ engine }) => seconds(engine?.lastSyncAt?.getTime()),
  },
  {
    name: 'walsync_txid',
    help: 'Newest TXID in the store.',
    value: ({ engine }) => (engine?.txid === undefined ? undefined : Number(engine.txid)),
  },
  {
    name: 'walsync_wal_bytes',
    help: 'Size of the WAL.',
    value: ({ engine }) => engine?.walBytes,
  },
  {
    name: 'walsync_spool_bytes',
    help: 'Changes that wait in the spool.',
    value: ({ engine }) => engine?.spoolBytes,
  },
  {
    name: 'walsync_replica_bytes',
    help: 'Size of the replica.',
    value: ({ engine }) => engine?.replicaBytes,
  },
  {
    name: 'walsync_last_drill_timestamp_seconds',
    help: 'When the last restore drill ended.',
    value: ({ lastDrill }) => lastDrill && Date.parse(lastDrill.time) / 1000,
  },
  {
    name: 'walsync_last_drill_success',
    help: '1 if the last restore drill passed, else 0.',
    value: ({ lastDrill }) => lastDrill && Number(lastDrill.passed),
  },
  {
    name: 'walsync_last_drill_restore_seconds',
    help: 'How long the restore of the last drill took.',
    value: ({ lastDrill }) => seconds(lastDrill?.ms),
  },
  {
    name: 'walsync_last_drill_state_age_seconds',
    help: 'How old the state was that the last drill restored; 0 if nothing was missing.',
    value: ({ lastDrill }) => seconds(lastDrill?.ageMs),
  },
]

/**
 * The gauges that each database has of its own, in the text format of Prometheus. Written here and
 * not by prom-client, whose objects for thousands of samples are most of the memory of a scrape.
 */
export function databaseSeries(databases: readonly FleetStatus[]): string {
  const labels = databases.map(({ name }) => `{database="${escaped(name)}"}`)
  const blocks = SERIES.map(({ name, help, value }) => {
    let text = `# HELP ${name} ${help}\n# TYPE ${name} gauge\n`
    for (const [i, database] of databases.entries()) {
      const sample = value(database)
      if (sample !== undefined) text += `${name}${labels[i]} ${sample}\n`
    }
    return text
  })
  return blocks.join('\n')
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000
}

/** Of a label's value: backslash, line feed and quotation mark. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}
