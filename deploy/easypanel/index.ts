import { Output, randomPassword, randomString, Services } from "~templates-utils";
import { Input } from "./meta";

export function generate(input: Input): Output {
  const services: Services = [];
  const databasePassword = randomPassword();
  const database = `${input.appServiceName}-db`;

  services.push({
    type: "app",
    data: {
      serviceName: input.appServiceName,
      env: [
        `DATABASE_URL=postgresql://postgres:${databasePassword}@$(PROJECT_NAME)_${database}:5432/gateway`,
        `GATEWAY_SECRET_KEY=${randomString(64)}`,
        `GATEWAY_PUBLIC_URL=https://$(PRIMARY_DOMAIN)`,
        `GATEWAY_TRUSTED_PROXIES=10.0.0.0/8,172.16.0.0/12`,
      ].join("\n"),
      source: { type: "image", image: input.appServiceImage },
      deploy: { zeroDowntime: false, capDrop: ["ALL"], tiniInit: true },
      domains: [{ host: "$(EASYPANEL_DOMAIN)", port: 8080 }],
      mounts: [{ type: "volume", name: "data", mountPath: "/data" }],
    },
  });

  services.push({
    type: "postgres",
    data: {
      serviceName: database,
      databaseName: "gateway",
      image: "postgres:17",
      password: databasePassword,
    },
  });

  return { services };
}
