export * from './wal-checksum.ts'
export * from './wal-header.ts'
export * from './wal-scanner.ts'
