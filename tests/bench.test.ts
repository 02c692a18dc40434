/** The budget of the benchmark names only figures that the benchmark measures. Nothing is measured here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breaches, readBudget } from '../bench/budget.ts';
import { figureName } from '../bench/scenario.ts';
import { scenarios } from '../bench/scenarios.ts';
import { shown, tableOf } from '../bench/table.ts';

const names = scenarios.flatMap((from) => Object.keys(from.figures).map((figure) => figureName(from, figure)));

test('every figure of the budget is one that the benchmark prints', () => {
  const { atMost, atLeast } = readBudget();
  const unknown = Object.keys({ ...atMost, ...atLeast }).filter((name) => !names.includes(name));
  assert.deepEqual(unknown, []);
});

test('no two figures have the same name', () => {
  assert.deepEqual(names.toSorted(), [...new Set(names)].toSorted());
});

test('the table has a row for every figure, measured or not', () => {
  const table = tableOf(scenarios, {}, readBudget());
  assert.deepEqual(
    names.filter((name) => !table.includes(`| ${name} `)),
    [],
  );
});

test('a figure beyond its budget is a breach, and so is a selected figure without a value', () => {
  const budget = { atMost: { 'a.x': 2, 'a.y': 2, 'b.z': 2 }, atLeast: { 'a.w': 4 } };
  const figures = { 'a.x': 2, 'a.y': 2.5, 'a.w': undefined };
  assert.deepEqual(
    breaches(budget, figures, (name) => name.startsWith('a.')),
    ['a.y is 2.50; the budget is at most 2', 'a.w was not measured; the budget is at least 4'],
  );
});

test('a value is shown to three digits', () => {
  assert.deepEqual([0, 0.04567, 1.2345, 61.04, 487.3, 28717].map(shown), ['0', '0.0457', '1.23', '61', '487', '28717']);
});
