/** One operation of the API, as its description lists it. */

export type Operation = {
  /** In lower case. */
  method: string;
  /** With parameters as `{id}`. */
  path: string;
  summary: string;
  /** JSON Schema of the request body. */
  body?: object;
  /** JSON Schemas of the parameters in the query. */
  query?: Record<string, unknown>;
  /** The status of success; absent: 200. */
  answer?: number;
  /** Statuses of errors besides those that every operation may answer. */
  errors?: number[];
  open?: boolean;
};
