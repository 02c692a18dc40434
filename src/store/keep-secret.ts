/** Keeps a secret that all processes on this store share. The first process that offers a secret decides its value. */
import type { Database } from './database.ts';

export function keepSecret(database: Database, name: string, offered: string): Promise<string> {
  return database.transaction('durable', async (sql) => {
    const values = [name, offered];
    await sql('INSERT INTO agent_secrets (name, secret) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING', values);
    const [row] = await sql('SELECT secret FROM agent_secrets WHERE name = $1', [name]);
    if (!row) throw new Error('Cannot keep a secret: the database returned no row');
    return String(row['secret']);
  });
}
